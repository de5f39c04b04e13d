import { readFileSync } from 'node:fs';

/** What the surroundings say, read from environment variables at the time of the call. */
export interface Environment {
  /** `CI` is set: no interactive output. */
  ci: boolean;
  /** `NO_COLOR` is set to anything but the empty string: no colours. */
  noColor: boolean;
  /** `CUDA_VISIBLE_DEVICES`, verbatim. */
  cudaVisibleDevices: string | undefined;
}

/** Reads the environment variables that espalier respects. */
export function environment(variables: NodeJS.ProcessEnv = process.env): Environment {
  return {
    ci: isSet(variables.CI) && variables.CI !== 'false' && variables.CI !== '0',
    noColor: isSet(variables.NO_COLOR),
    cudaVisibleDevices: variables.CUDA_VISIBLE_DEVICES,
  };
}

/** The version of this package, from its package.json. */
export function packageVersion(): string {
  const manifest = new URL('../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }).version;
}

function isSet(value: string | undefined): boolean {
  return value !== undefined && value !== '';
}
