// The compiled body of Asio (separate compilation): the one place where it is instantiated.
#include <boost/asio/impl/src.hpp>
