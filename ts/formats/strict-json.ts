import { EspalierError } from '../common/errors.js';

/** Bounds on a JSON text that comes from outside. */
export interface StrictJsonLimits {
  /** Deepest nesting of objects and arrays; default 32. */
  maxDepth?: number;
  /** Most objects and arrays in all; default 4,000,000. */
  maxContainers?: number;
}

/**
 * Parses UTF-8 JSON from a file that is not trusted. Beyond `JSON.parse` it refuses invalid UTF-8,
 * duplicate keys, lone surrogates in keys and nesting or sizes that would exhaust memory.
 * @param what names the text in messages, such as "the header of model.safetensors".
 * @throws EspalierError `FORMAT`.
 */
export function parseStrictJson(
  bytes: Uint8Array,
  what: string,
  { maxDepth = 32, maxContainers = 4_000_000 }: StrictJsonLimits = {},
): unknown {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new EspalierError('FORMAT', `${what} is not valid UTF-8`, { cause });
  }
  refuseHazards(text, what, maxDepth, maxContainers);
  try {
    return JSON.parse(text);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.slice(0, 200) : String(cause);
    throw new EspalierError('FORMAT', `${what} is not valid JSON: ${reason}`, { cause });
  }
}

/**
 * One pass over the text before `JSON.parse` sees it. Correct for valid JSON; invalid JSON may pass,
 * since `JSON.parse` refuses it afterwards, but never with more nesting or containers than allowed.
 */
function refuseHazards(text: string, what: string, maxDepth: number, maxContainers: number): void {
  // One entry per open container: the keys seen so far of an object, undefined for an array.
  const open: (Set<string> | undefined)[] = [];
  let containers = 0;
  let expectsKey = false;
  for (let i = 0; i < text.length; i++) {
    switch (text.charCodeAt(i)) {
      case 0x7b: // {
      case 0x5b: // [
        if (open.length === maxDepth) refuse(what, `nests deeper than ${maxDepth} levels`);
        if (++containers > maxContainers) refuse(what, `holds more than ${maxContainers} objects`);
        expectsKey = text[i] === '{';
        open.push(expectsKey ? new Set() : undefined);
        break;
      case 0x7d: // }
      case 0x5d: // ]
        open.pop();
        expectsKey = false;
        break;
      case 0x2c: // ,
        expectsKey = open.at(-1) !== undefined;
        break;
      case 0x22: {
        const end = endOfString(text, i + 1);
        const keys = expectsKey ? open.at(-1) : undefined;
        if (keys !== undefined) addKey(keys, text.slice(i, end + 1), what);
        expectsKey = false;
        i = end;
        break;
      }
    }
  }
}

/** The index of the quote that closes a string whose first character is at `start`. */
function endOfString(text: string, start: number): number {
  let i = start;
  while (i < text.length && text.charCodeAt(i) !== 0x22) {
    i += text.charCodeAt(i) === 0x5c ? 2 : 1;
  }
  return i;
}

function addKey(keys: Set<string>, quoted: string, what: string): void {
  let key: string;
  try {
    key = quoted.includes('\\') ? (JSON.parse(quoted) as string) : quoted.slice(1, -1);
  } catch (cause) {
    throw new EspalierError('FORMAT', `${what} is not valid JSON: a key is malformed`, { cause });
  }
  if (keys.has(key)) refuse(what, `has the key ${JSON.stringify(key.slice(0, 200))} twice`);
  if (/\p{Surrogate}/u.test(key)) refuse(what, 'has a key that is not valid Unicode');
  keys.add(key);
}

function refuse(what: string, why: string): never {
  throw new EspalierError('FORMAT', `${what} ${why}`);
}
