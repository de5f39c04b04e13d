import { createReadStream } from 'node:fs';
import { throwIfAborted } from '../common/abort.js';
import { EspalierError } from '../common/errors.js';
import { fileError } from '../common/file-error.js';

/** One line of a file. */
export interface TextLine {
  /** Counted from 1. */
  line: number;
  /** Its bytes, without the line break. */
  bytes: Buffer;
}

/** Options of {@link textLines}. */
export interface TextLinesOptions {
  /** The longest line that is believed; default 16 MiB. */
  maxBytes?: number;
  signal?: AbortSignal | undefined;
}

/**
 * The lines of a file, read piece by piece, so that a file may be larger than memory. Ends of lines
 * are `\n` or `\r\n`; a byte order mark at the start is left out.
 * @throws EspalierError `CONFIG` when it can't be read, `FORMAT` for a line that is too long, `ABORTED`.
 */
export async function* textLines(
  path: string,
  { maxBytes = 2 ** 24, signal }: TextLinesOptions = {},
): AsyncGenerator<TextLine> {
  const stream = createReadStream(path);
  let line = 0;
  let parts: Buffer[] = [];
  let length = 0;
  const add = (part: Buffer) => {
    parts.push(part);
    length += part.length;
    if (length <= maxBytes) return;
    throw new EspalierError(
      'FORMAT',
      `${path}:${line + 1}: the line is longer than ${maxBytes} bytes`,
    );
  };
  const finish = (): TextLine => {
    const joined = parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
    parts = [];
    length = 0;
    line++;
    return { line, bytes: trimmed(joined, line === 1) };
  };
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      throwIfAborted(signal);
      let start = 0;
      for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
        add(chunk.subarray(start, end));
        yield finish();
        start = end + 1;
      }
      if (start < chunk.length) add(chunk.subarray(start));
    }
    if (length > 0) yield finish();
  } catch (error) {
    throw fileError(error, 'read', path);
  } finally {
    stream.destroy();
  }
}

function trimmed(bytes: Buffer, first: boolean): Buffer {
  const start = first && bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0;
  const end = bytes.at(-1) === 13 ? bytes.length - 1 : bytes.length;
  return bytes.subarray(start, Math.max(start, end));
}
