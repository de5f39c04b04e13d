/** `file:line: name` of every class and function in a header that has no comment. */
export function undocumentedHeader(file: string): string[];
