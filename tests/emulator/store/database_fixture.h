// A directory and a loop for the tests of the database.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include "emulator/store/database.h"
#include "tests/support/run_task.h"

#include <stdlib.h>

namespace emulator::store {

class DatabaseTest : public testing::Test {
 protected:
  DatabaseTest() {
    std::string pattern = "/tmp/sandlot-store-XXXXXX";
    EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
  }
  ~DatabaseTest() override {
    database_.reset();
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }

  std::filesystem::path file() const { return directory_ / "sandlot.db"; }
  void open() {
    database_.reset();
    auto opened = Database::open(file());
    ASSERT_TRUE(opened) << opened.error().message();
    database_ = std::move(*opened);
  }
  base::Result<Changed> exec(std::string sql, std::vector<Value> parameters = {}) {
    return tests::run_task(context_, database_->exec(std::move(sql), std::move(parameters)));
  }
  std::vector<Row> query(std::string sql, std::vector<Value> parameters = {}) {
    auto rows = tests::run_task(context_, database_->query(std::move(sql), std::move(parameters)));
    EXPECT_TRUE(rows) << rows.error().message();
    return rows.value_or(std::vector<Row>());
  }
  base::Result<Changed> add_secret(const std::string& name, std::string bytes) {
    return exec("INSERT INTO secrets VALUES (?, ?, ?)", values(name, Blob{std::move(bytes)}, 1));
  }

  std::filesystem::path directory_;
  boost::asio::io_context context_{1};
  std::unique_ptr<Database> database_;
};

}  // namespace emulator::store
