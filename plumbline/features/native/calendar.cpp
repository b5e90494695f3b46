#include "calendar.h"

#include <stdexcept>
#include <utility>

namespace plumbline {
namespace {

using Part = DatePart::Part;

constexpr int64_t kDaysTo1970 = 719162;  // since 0001-01-01

// Rounded down, as in NumPy.
constexpr int64_t divided(int64_t value, int64_t divisor) {
  return value / divisor - (value % divisor < 0);
}
constexpr int64_t remainder(int64_t value, int64_t divisor) {
  const int64_t rest = value % divisor;
  return rest < 0 ? rest + divisor : rest;
}

constexpr bool is_leap(int64_t year) {
  return remainder(year, 4) == 0 && (remainder(year, 100) != 0 || remainder(year, 400) == 0);
}

// The number of the year's first day since 1970-01-01.
constexpr int64_t first_day(int64_t year) {
  const int64_t before = year - 1;
  return 365 * before + divided(before, 4) - divided(before, 100) + divided(before, 400) - kDaysTo1970;
}

// The year of a day that is given by its number since 1970-01-01.
int64_t year_of(int64_t day) {
  int64_t year = divided((day + kDaysTo1970) * 400, 146097) + 1;  // at most one year off
  if (day < first_day(year)) --year;
  return day < first_day(year + 1) ? year : year + 1;
}

struct MonthAndDay {
  int64_t month, day;  // from 1 on
};

MonthAndDay month_and_day(int64_t year, int64_t day_of_year) {
  static constexpr int64_t kLengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  int64_t month = 0, rest = day_of_year;
  for (;; ++month) {
    const int64_t length = kLengths[month] + (month == 1 && is_leap(year));
    if (rest < length) return {month + 1, rest + 1};
    rest -= length;
  }
}

int64_t of_day(Part part, int64_t day) {
  const int64_t weekday = remainder(day + 3, 7);  // 1970-01-01 was a Thursday
  if (part == Part::kDayOfWeek) return weekday;
  if (part == Part::kWeekend) return weekday > 4;
  if (part == Part::kWeek) day += 3 - weekday;  // a week has the year of its Thursday
  const int64_t year = year_of(day), day_of_year = day - first_day(year);
  if (part == Part::kWeek) return day_of_year / 7 + 1;
  if (part == Part::kYear) return year;
  if (part == Part::kDayOfYear) return day_of_year + 1;
  const auto [month, day_of_month] = month_and_day(year, day_of_year);
  if (part == Part::kDay) return day_of_month;
  return part == Part::kMonth ? month : (month + 2) / 3;
}

}  // namespace

DatePart DatePart::named(const std::string &name, int64_t offset) {
  static constexpr std::pair<const char *, Part> known[] = {
      {"year", Part::kYear}, {"quarter", Part::kQuarter}, {"month", Part::kMonth},
      {"week", Part::kWeek}, {"day", Part::kDay}, {"day_of_year", Part::kDayOfYear},
      {"day_of_week", Part::kDayOfWeek}, {"weekend", Part::kWeekend}, {"hour", Part::kHour},
      {"minute", Part::kMinute}, {"second", Part::kSecond}};
  for (const auto &[known_name, part] : known)
    if (name == known_name) return {part, offset};
  throw std::invalid_argument("No part of a date is called '" + name + "'");
}

int64_t DatePart::of(int64_t time) const {
  if (part == Part::kSecond) return remainder(divided(time, 1'000'000), 60);
  const int64_t minutes = divided(time, 60'000'000) + offset;
  if (part == Part::kMinute) return remainder(minutes, 60);
  if (part == Part::kHour) return remainder(divided(minutes, 60), 24);
  return of_day(part, divided(minutes, 24 * 60));
}

}  // namespace plumbline
