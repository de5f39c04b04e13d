// A run of `prune` in a process of its own, for tests that kill it: MODEL OPTIONS-AS-JSON. Writes a
// byte to stdout when it starts and at every progress event.
import { prune } from '../../../ts/systems/comp/prune.js';

const [, , model, options] = process.argv;
const say = () => process.stdout.write('.');
say();
await prune(model as string, { ...JSON.parse(options as string), onProgress: say });
