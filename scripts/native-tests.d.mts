/** Builds the native tests in `build` and returns the program's path. */
export function buildNativeTests(build?: string, options?: { defines?: string[] }): string;

/** Builds the CUDA backend on an emulated GPU in `build` and returns the library's path. */
export function buildEmulatedGpu(build?: string): string;
