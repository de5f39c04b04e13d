import { atOnce, inTurns, type Pieces } from '../common/pieces.js';
import { native } from '../native/addon.js';

let open = false;

/**
 * Runs `body`, whose ops on `device` are likely to come again under the same key in the same order
 * and with the same shapes: a GPU then queues them as one graph instead of one by one. Results are
 * the same. Inside another region it only runs `body`, and so it does on the CPU.
 *
 * @param key names what is done and the shapes it depends on
 */
export function region<T>(device: string, key: string, body: () => T): T {
  if (open || device === 'cpu') return body();
  open = true;
  native().beginRegion(device, key);
  try {
    return body();
  } finally {
    open = false;
    native().endRegion(device);
  }
}

/**
 * As {@link region}, of work in pieces: on the CPU, which has no graphs, the event loop is served
 * between them; a GPU gets them all in one turn, since a graph must not mix with others' ops.
 *
 * @throws EspalierError `ABORTED`, and what the work throws
 */
export async function regionInTurns<T>(
  device: string,
  key: string,
  pieces: Pieces<T>,
  { signal, op }: { signal?: AbortSignal | undefined; op?: string } = {},
): Promise<T> {
  return device === 'cpu' ? inTurns(pieces, signal, op) : region(device, key, () => atOnce(pieces));
}
