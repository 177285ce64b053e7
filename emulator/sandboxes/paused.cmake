# What is written down of paused sandboxes: a library of its own, because `gc` needs it too.
sandlot_library(sandlot_paused
  SOURCES paused_record.cc paused_store.cc
  PUBLIC sandlot_base sandlot_cloud sandlot_namespaces sandlot_store
  PRIVATE nlohmann_json::nlohmann_json)
