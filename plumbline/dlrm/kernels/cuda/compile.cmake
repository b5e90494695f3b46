# cmake -P: compiles SOURCE to OBJECT with NVCC and OPTIONS, and writes ptxas's report of each
# kernel's registers, stack and shared memory as a string to the C++ file RESOURCES.
execute_process(
  COMMAND "${NVCC}" ${OPTIONS} -c "${SOURCE}" -o "${OBJECT}"
  RESULT_VARIABLE FAILED OUTPUT_VARIABLE SAID ERROR_VARIABLE SAID)
if(FAILED)
  message(FATAL_ERROR "${SAID}")
endif()
file(WRITE "${RESOURCES}"
  "extern const char plumbline_${NAME}_resources[];\n"
  "const char plumbline_${NAME}_resources[] = R\"ptxas(${SAID})ptxas\";\n")
