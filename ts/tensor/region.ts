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
