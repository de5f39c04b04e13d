# A backend library and the addon must have been compiled with the same headers: `result` becomes the
# first eight hexadecimal digits of the SHA-256 over the SHA-256s of the sorted headers, as
# scripts/backend-abi.mjs has it.
function(espalier_backend_abi result)
  set(headers ${ARGN})
  list(SORT headers)
  set(hashes "")
  foreach(header ${headers})
    file(SHA256 ${header} hash)
    string(APPEND hashes ${hash})
  endforeach()
  string(SHA256 abi "${hashes}")
  string(SUBSTRING ${abi} 0 8 abi)
  set(${result} ${abi} PARENT_SCOPE)
endfunction()
