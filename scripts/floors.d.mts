/** Imports below `root`/ts that climb or cross, one line each. */
export function climbingImports(root: string): string[];

/** Includes below `root`/binding that a folder must not have, one line each. */
export function climbingIncludes(root: string): string[];
