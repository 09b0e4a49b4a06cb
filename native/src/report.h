// A status with the line that goes with it.
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include "potstill.h"

class Report {
 public:
  Report(char *message, size_t room) : message_(message), room_(message ? room : 0) {
    if (room_) message_[0] = 0;
  }

  __attribute__((format(printf, 3, 4))) int say(potstill_status status, const char *format, ...) {
    if (room_) {
      va_list values;
      va_start(values, format);
      vsnprintf(message_, room_, format, values);
      va_end(values);
    }
    return status;
  }
  int no_memory() { return say(POTSTILL_NO_MEMORY, "there is not enough memory"); }

 private:
  char *message_;
  size_t room_;
};
