/** The closed set of reasons for which espalier refuses or fails. */
export const ERROR_CODES = [
  'SHAPE',
  'DTYPE',
  'DEVICE_MISMATCH',
  'DEVICE_UNAVAILABLE',
  'OUT_OF_MEMORY',
  'UNSUPPORTED',
  'FORMAT',
  'ABORTED',
  'TRANSPORT',
  'CONFIG',
  'NUMERIC',
] as const;

/**
 * Why an operation failed: `SHAPE`, `DTYPE` and `DEVICE_MISMATCH` for tensors that do not fit each
 * other, `FORMAT` for a file that breaks its format, `UNSUPPORTED` for one that is valid but not
 * handled, `CONFIG` for options and surroundings (missing files, full disks), `NUMERIC` for a
 * factorisation that failed or did not converge.
 */
export type ErrorCode = (typeof ERROR_CODES)[number];

/** What an {@link EspalierError} may carry beside its code and message. */
export interface EspalierErrorOptions {
  /** The operation that failed, as it is named in the API. */
  op?: string;
  /** What can be done about it, as one sentence without a full stop. */
  remedy?: string;
  /** Facts for programs: the argument's name, what was expected, what came. */
  details?: Readonly<Record<string, unknown>>;
  /** The error that caused this one. */
  cause?: unknown;
}

/** The only error class that espalier throws on purpose; `code` says which kind of failure it is. */
export class EspalierError extends Error {
  override readonly name = 'EspalierError';
  /** Which kind of failure it is. */
  readonly code: ErrorCode;
  /** The op or step that failed. */
  readonly op?: string;
  /** What to do about it, one line. */
  readonly remedy?: string;
  /** Facts for programs: the argument's name, what was expected, what came. */
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, message: string, options: EspalierErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    if (options.op !== undefined) this.op = options.op;
    if (options.remedy !== undefined) this.remedy = options.remedy;
    this.details = options.details ?? {};
  }
}
