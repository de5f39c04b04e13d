import { Worker, type WorkerOptions } from 'node:worker_threads';

/**
 * Starts a worker thread from a module beside the caller.
 * @param name the module's file name without its extension.
 * @param base the caller's `import.meta.url`.
 */
export function startWorker(name: string, base: string, options: WorkerOptions = {}): Worker {
  // Flags of the process, such as --input-type, are not meant for our thread.
  const settings = { execArgv: [], ...options };
  if (!base.endsWith('.ts')) return new Worker(new URL(`./${name}.js`, base), settings);
  // Run from the sources, as tests are: the thread needs the TypeScript loader too.
  const loader = JSON.stringify(import.meta.resolve('tsx/esm/api'));
  const module = JSON.stringify(new URL(`./${name}.ts`, base).href);
  const code = `import(${loader}).then((tsx) => { tsx.register(); return import(${module}); });`;
  return new Worker(code, { ...settings, eval: true });
}
