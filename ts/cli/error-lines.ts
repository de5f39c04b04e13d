import { EspalierError } from '../common/errors.js';
import { type Style, styleFor } from './style.js';

/** A failure as the JSON outputs carry it. */
export interface ErrorDocument {
  code: string;
  message: string;
  remedy?: string;
  op?: string;
  details?: Readonly<Record<string, unknown>>;
}

/** What of an error goes into a JSON document. */
export function errorDocument(error: unknown): ErrorDocument {
  if (!(error instanceof EspalierError)) return { code: 'INTERNAL', message: messageOf(error) };
  const { code, message, remedy, op, details } = error;
  return {
    code,
    message,
    ...(remedy === undefined ? {} : { remedy }),
    ...(op === undefined ? {} : { op }),
    ...(Object.keys(details).length === 0 ? {} : { details }),
  };
}

/** One line of cause and one of remedy; `verbose` adds the stack and the causes behind it. */
export function errorLines(
  error: unknown,
  { verbose = false, style = styleFor(false) }: { verbose?: boolean; style?: Style } = {},
): string {
  const { code, message, remedy } = errorDocument(error);
  const lines = [
    `${style.red('error:')} ${oneLine(message)}`,
    `  ${style.dim('try:')} ${oneLine(remedy ?? defaultRemedy(code))}`,
  ];
  if (verbose) {
    for (let cause = error; cause !== undefined; cause = (cause as Error).cause) {
      lines.push(cause instanceof Error ? (cause.stack ?? cause.message) : String(cause));
      if (!(cause instanceof Error)) break;
    }
  }
  return lines.map((line) => `${line}\n`).join('');
}

function defaultRemedy(code: string): string {
  if (code === 'ABORTED') return 'run the command again';
  if (code === 'OUT_OF_MEMORY') return 'use fewer samples, a smaller batch or a shorter window';
  if (code === 'CONFIG') return 'espalier VERB --help lists the options and their values';
  if (code === 'FORMAT') return 'check the file, or fetch it again';
  if (code === 'INTERNAL')
    return 'this is a bug: run again with --verbose and report what it prints';
  return 'run again with --verbose to see where it comes from';
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function oneLine(text: string): string {
  return text.trim().replace(/\s*\n\s*/g, ' ');
}
