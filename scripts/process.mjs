// Running other programs from scripts, and saying what failed.
import { spawnSync } from 'node:child_process';

/** Prints a line for the person watching; stdout stays free for data. */
export function say(line) {
  process.stderr.write(`${line}\n`);
}

/** Ends the script with one line of cause and one of remedy. */
export function fail(step, cause, remedy) {
  say(`error: ${step}: ${cause}`);
  say(`remedy: ${remedy}`);
  process.exit(1);
}

/**
 * Runs a program and returns its output; ends the script when it fails.
 *
 * @param step what to call it in messages
 * @param options `remedy` for the message, `quiet` to keep the output back unless it fails,
 * `environment` to add variables
 */
export function run(step, program, args, { remedy, quiet = true, environment = {} } = {}) {
  const result = spawnSync(program, args, {
    encoding: 'utf8',
    stdio: ['ignore', quiet ? 'pipe' : 'inherit', quiet ? 'pipe' : 'inherit'],
    env: { ...process.env, ...environment },
    maxBuffer: 1 << 28,
  });
  if (result.error) fail(step, `cannot run ${program}: ${result.error.message}`, remedy);
  if (result.status !== 0) {
    if (quiet) say(`${result.stdout}${result.stderr}`.trimEnd().split('\n').slice(-40).join('\n'));
    fail(step, `${program} ${args.join(' ')} ended with ${result.status ?? result.signal}`, remedy);
  }
  return result.stdout;
}

/** True when `program` runs and succeeds. */
export function succeeds(program, args) {
  return spawnSync(program, args, { stdio: 'ignore' }).status === 0;
}
