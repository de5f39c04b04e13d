#!/usr/bin/env node
import { errorLines } from './error-lines.js';
import { EXIT } from './exit-code.js';
import { main } from './program.js';

process.on('uncaughtException', (error) => {
  process.stderr.write(errorLines(error, { verbose: true }));
  process.exit(EXIT.failed);
});

process.exit(await main(process.argv.slice(2)));
