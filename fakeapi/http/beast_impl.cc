// The compiled body of Beast (separate compilation): the one place where it is instantiated.
#include <boost/beast/src.hpp>
