/** Builds the native tests in `build` and returns the program's path. */
export function buildNativeTests(build?: string, options?: { defines?: string[] }): string;
