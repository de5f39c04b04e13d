export function backendAbi(root: string): string;
