import { loadavg } from 'node:os';
import { doctor } from '../ts/native/doctor.js';

/** The machine that figures were measured on. */
export interface Machine {
  cpu: string;
  processors: number;
  threads: number;
  simd: string;
  memoryGB: number;
  os: string;
  node: string;
  libraries: Readonly<Record<string, string>>;
  /** The GPU that was computed on and what multiplied there; absent for the CPU. */
  gpu?: string;
  /** Processes that wanted a processor in the last minute, before the suite began. */
  load: number;
  /** ISO date. */
  date: string;
}

/** Describes this machine; `threads` and `device` are what the suite computes with. */
export function describeMachine(threads: number, device = 'cpu'): Machine {
  const report = doctor();
  const { gpu, driver, libraries } = report.cuda;
  const card =
    gpu &&
    `${gpu.name}, ${Math.round(gpu.memory / 1e9)} GB, compute capability ${gpu.computeCapability}`;
  return {
    cpu: report.cpu.model,
    processors: report.cpu.processors,
    threads,
    simd: report.cpu.simd ?? 'unknown',
    memoryGB: Math.round(report.memory.total / 1e9),
    os: `${report.platform.os} ${report.platform.architecture}`,
    node: report.node.version,
    libraries: { espalier: report.version, ...report.libraries },
    ...(device === 'cpu' || card === undefined
      ? {}
      : { gpu: [`${device}: ${card}`, `driver ${driver ?? 'unknown'}`, ...libraries].join(', ') }),
    load: Math.round((loadavg()[0] ?? 0) * 10) / 10,
    date: new Date().toISOString().slice(0, 10),
  };
}

/** One paragraph of text about a machine. */
export function machineText(machine: Machine): string {
  const libraries = Object.entries(machine.libraries).map(
    ([name, version]) => `${name} ${version}`,
  );
  return (
    `${machine.gpu === undefined ? '' : `${machine.gpu}; `}${machine.cpu}, ${machine.processors} processors, ${machine.simd}, ${machine.memoryGB} GB, ` +
    `${machine.os}; ${machine.threads} threads; Node ${machine.node}; ${libraries.join(', ')}; ` +
    `load average ${machine.load} before the suite; ${machine.date}`
  );
}
