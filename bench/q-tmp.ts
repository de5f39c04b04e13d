import { prune } from '../ts/systems/comp/prune.js';
await prune('/work/shared/models/babyllama-tok105', { output: '/tmp/q-out2', calibration: '/work/shared/data/text/wizard_of_oz.txt', force: true });
