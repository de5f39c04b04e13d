import type { LongOperationOptions } from '../common/events.js';
import { fileError } from '../common/file-error.js';
import { openToScan, recordError } from './record-scanner.js';
import type { TokenStore } from './token-store.js';
import type { Tokenizer } from './tokenizer.js';

/** Characters that are tokenized at once. */
const PIECE = 2 ** 20;

/**
 * Tokenizes a text file of any length into a store, as one text with the tokenizer's own special tokens
 * in front and its end-of-text token behind. A file over a megabyte goes in pieces that end at a line
 * end; each piece has the ids that it has alone.
 * @throws EspalierError `FORMAT` when it is not UTF-8, `CONFIG` when it can't be read, `ABORTED`.
 */
export async function appendTextFile(
  store: TokenStore,
  path: string,
  tokenizer: Tokenizer,
  { signal, onProgress, piece = PIECE }: LongOperationOptions & { piece?: number } = {},
): Promise<void> {
  const handle = await openToScan(path);
  try {
    const { size } = await handle.stat();
    if (size === 0) return;
    const decode = textDecoder(path);
    const chunk = Buffer.allocUnsafe(piece);
    let rest = '';
    let read = 0;
    let first = true;
    const encode = async (text: string, ends: boolean) => {
      const spans = [[0, text.length]] as const;
      const item = { text, spans, specialTokens: first, ends };
      const { ids } = await tokenizer.encodeLearnt([item], signal);
      // Nothing in front of a text could tell its first token.
      if (first && ids.length > 0) ids[0] = asUnlearnt(ids[0] as number);
      await store.append(ids);
      first = false;
    };
    for (let ended = false; !ended; ) {
      const { bytesRead } = await handle.read(chunk, 0, chunk.length, read).catch((error) => {
        throw fileError(error, 'read', path);
      });
      ended = bytesRead === 0;
      read += bytesRead;
      rest += decode(chunk.subarray(0, bytesRead), ended);
      if (ended) {
        await encode(rest, true);
      } else if (rest.length > piece) {
        const cut = rest.lastIndexOf('\n') + 1 || longCut(rest, piece);
        if (cut > 0) await encode(rest.slice(0, cut), false);
        rest = rest.slice(cut);
      }
      onProgress?.({ phase: 'tokenize', completed: read, total: size, unit: 'bytes' });
    }
  } finally {
    await handle.close();
  }
}

/** Where a text without a line end is cut once it is too long: not inside a character. */
function longCut(text: string, piece: number): number {
  if (text.length < 4 * piece) return 0;
  const space = text.lastIndexOf(' ');
  if (space > 0) return space;
  const code = text.charCodeAt(text.length - 1);
  return code >= 0xd800 && code < 0xdc00 ? text.length - 1 : text.length;
}

function asUnlearnt(id: number): number {
  return id < 0 ? id : ~id;
}

/** Decodes the bytes of a file piece by piece, strictly. */
function textDecoder(path: string): (bytes: Uint8Array, last: boolean) => string {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  let lines = 1;
  return (bytes, last) => {
    let text: string;
    try {
      text = decoder.decode(bytes, { stream: !last });
    } catch {
      throw recordError(path, lines, 'from here on something is not UTF-8 text');
    }
    for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) lines++;
    return text;
  };
}
