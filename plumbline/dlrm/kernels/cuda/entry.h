// Error handling of every function of api.h: exceptions become error texts.
#pragma once

#include <exception>
#include <string>

namespace plumbline {

template <typename Work>
const char *answered(Work work) {
  static thread_local std::string answer;
  try {
    work();
    return nullptr;
  } catch (const std::exception &error) {
    answer = error.what();
    return answer.c_str();
  }
}

}  // namespace plumbline
