/** NVIDIA's libraries in Python's packages: their folder, and a line on what was found. */
export function findNvidiaLibraries(sites?: readonly string[]): {
  folder: string | undefined;
  line: string;
};
