/** Builds the native tests in `build` and returns the program's path. */
export function buildNativeTests(build?: string, options?: { defines?: string[] }): string;

/** Builds the CUDA backend on an emulated GPU in `build` and returns the library's path. */
export function buildEmulatedGpu(build?: string): string;

/** Builds the stand-ins for NVIDIA's libraries in `build` and returns the folder they are in. */
export function buildStandIns(build?: string): string;
