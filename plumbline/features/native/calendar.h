// Parts of times in the Gregorian calendar. A time is in microseconds since 1970-01-01 in UTC.
#pragma once

#include <cstdint>
#include <string>

namespace plumbline {

struct DatePart {
  enum class Part {
    kYear, kQuarter, kMonth, kWeek, kDay, kDayOfYear, kDayOfWeek, kWeekend, kHour, kMinute, kSecond
  };
  Part part;
  int64_t offset;  // minutes east of UTC

  // Throws std::invalid_argument for an unknown name.
  static DatePart named(const std::string &name, int64_t offset);

  // See plumbline/features/operators/date_part.py.
  int64_t of(int64_t time) const;
};

}  // namespace plumbline
