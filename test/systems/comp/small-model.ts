import { copyFileSync, cpSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryDirectory } from '../../temporary-directory.js';

const root = join(import.meta.dirname, '..', '..', '..');

/** The demo's text to calibrate on. */
export const calibrationText = join(root, 'demo', 'text', 'calibration.txt');

/** The demo's pretrained model. */
export const demoModel = join(root, 'demo', 'model');

/** A conformance checkpoint with the demo's tokenizer, whose tokens it has room for. */
export function smallModel(name: string): string {
  const directory = join(temporaryDirectory(), name);
  mkdirSync(directory);
  cpSync(join(root, 'test', 'fixtures', 'conformance', name), directory, { recursive: true });
  for (const file of ['tokenizer.json', 'tokenizer_config.json']) {
    copyFileSync(join(demoModel, file), join(directory, file));
  }
  return directory;
}

/** Every file of a directory, by name. */
export function filesOf(directory: string): Map<string, Buffer> {
  return new Map(
    readdirSync(directory)
      .sort()
      .map((name) => [name, readFileSync(join(directory, name))]),
  );
}
