// A run of `prune` in a process of its own, for tests that kill it: MODEL OPTIONS-AS-JSON.
import { prune } from '../../../ts/systems/comp/prune.js';

const [, , model, options] = process.argv;
process.stdout.write('started\n');
await prune(model as string, JSON.parse(options as string));
