import { EspalierError } from '../common/errors.js';
import type { LongOperationOptions, ProgressEvent } from '../common/events.js';
import { cudaLibraries } from '../native/cuda-libraries.js';
import { setThreads } from '../native/threads.js';
import type { CommonFlags } from './common-flags.js';
import { errorDocument, errorLines } from './error-lines.js';
import { EXIT, type ExitCode, exitCodeOf } from './exit-code.js';
import { Interrupt } from './interrupt.js';
import { type Progress, progressOn } from './progress.js';
import { type Screen, screenOn } from './screen.js';
import { type Style, styleFor } from './style.js';

/** A verb of the command line: a function of the API and two ways to show its result. */
export interface Verb<R> {
  /** It computes: `--threads` takes effect before it starts. */
  computes?: boolean;
  /** Calls the API. */
  work(options: Required<LongOperationOptions>): R | Promise<R>;
  /** The result as a table for people. */
  text(result: R, style: Style): string;
  /** The result as a document for programs; default: itself. */
  document?(result: R): unknown;
  /** What the user should know about a result that was reached all the same. */
  warnings?(result: R): readonly string[];
  /** What to do after an interrupt; default: run the command again. */
  afterInterrupt?: string;
  /** The exit code of a result; default 0. */
  exitCode?(result: R): ExitCode;
}

/** Runs a verb under the flags given; each command is handed one. */
export type RunVerb = <R>(flags: CommonFlags, verb: Verb<R>) => Promise<void>;

/** The two standard streams. */
export interface Screens {
  /** Data. */
  out: Screen;
  /** Everything else. */
  err: Screen;
}

/** The standard streams of this process. */
export function standardScreens(): Screens {
  return { out: screenOn(process.stdout), err: screenOn(process.stderr) };
}

/** Runs a verb with progress, interrupts and error messages, and returns the exit code. */
export async function runVerb<R>(
  flags: CommonFlags,
  verb: Verb<R>,
  { out, err }: Screens = standardScreens(),
): Promise<ExitCode> {
  const progress = flags.quiet === true ? SILENT : progressOn(err);
  const interrupt = new Interrupt(() =>
    progress.note('stopping; press Ctrl-C again to stop without saving'),
  );
  const emit = (event: object) => out.write(`${JSON.stringify(event)}\n`);
  try {
    if (verb.computes === true && flags.threads !== undefined) setThreads(flags.threads);
    const result = await verb.work({
      signal: interrupt.signal,
      onProgress(event: ProgressEvent) {
        if (flags.jsonStream === true) emit({ event: 'progress', ...event });
        progress.report(event);
      },
    });
    progress.close();
    if (flags.verbose === true) for (const text of cudaLibraries()) progress.note(text);
    const yellow = styleFor(err.colour).yellow;
    for (const text of verb.warnings?.(result) ?? []) {
      progress.note(`${yellow('warning:')} ${text}`);
    }
    const document = verb.document?.(result) ?? result;
    if (flags.jsonStream === true) emit({ event: 'result', result: document });
    else if (flags.json === true) out.write(`${JSON.stringify(document, undefined, 2)}\n`);
    else out.write(verb.text(result, styleFor(out.colour)));
    return verb.exitCode?.(result) ?? EXIT.done;
  } catch (thrown) {
    progress.close();
    const error = interrupt.fired ? interrupted(thrown, verb.afterInterrupt) : thrown;
    const failure = errorDocument(error);
    if (flags.jsonStream === true) emit({ event: 'error', error: failure });
    else if (flags.json === true) emit({ error: failure });
    const verbose = flags.verbose === true;
    err.write(errorLines(error, { verbose, style: styleFor(err.colour) }));
    return exitCodeOf(error, interrupt.fired);
  } finally {
    interrupt.close();
  }
}

/** Says what to do after an interrupt, where that was why the work ended. */
function interrupted(error: unknown, remedy: string | undefined): unknown {
  if (!(error instanceof EspalierError) || error.code !== 'ABORTED') return error;
  return new EspalierError('ABORTED', 'interrupted', {
    ...(remedy === undefined ? {} : { remedy }),
    cause: error,
  });
}

const SILENT: Progress = { report() {}, note() {}, close() {} };
