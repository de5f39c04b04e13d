// The command line, in a process that may take no more memory once a directory has a checkpoint:
// DIRECTORY ARGUMENTS…
import { existsSync, readdirSync } from 'node:fs';
import { withRoomFor } from '../../with-room-for.js';

const [directory = '', ...args] = process.argv.slice(2);
process.argv.splice(2, Number.POSITIVE_INFINITY, ...args);
const watch = setInterval(() => {
  if (!existsSync(directory) || !readdirSync(directory).includes('checkpoint-1')) return;
  clearInterval(watch);
  void withRoomFor(16 * 2 ** 20, () => new Promise<void>(() => {}));
}, 1).unref();
await import('../../../ts/cli/espalier.js');
