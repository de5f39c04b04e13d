import type { EspalierError } from '../common/errors.js';

/** What the process tells its caller. */
export const EXIT = { done: 0, failed: 1, usage: 2, environment: 3, interrupted: 130 } as const;

/** One of the codes above. */
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/**
 * The exit code for a failure: 130 when the user interrupted, 3 when the addon or the device can't be
 * had, 2 when an option's value was refused (such errors name it in `details.option`), otherwise 1.
 */
export function exitCodeOf(error: unknown, interrupted: boolean): ExitCode {
  const { code, details } = error as Partial<EspalierError>;
  if (interrupted && code === 'ABORTED') return EXIT.interrupted;
  if (code === 'DEVICE_UNAVAILABLE') return EXIT.environment;
  if (code === 'CONFIG' && details?.option !== undefined) return EXIT.usage;
  return EXIT.failed;
}
