// What the figures of a run depend on: the machine and the versions of what is measured on it.
import { execFileSync } from 'node:child_process';
import { availableParallelism, cpus, release } from 'node:os';

export function machineFacts(): string {
  const model = cpus()[0]?.model.trim() ?? 'unknown processor';
  return [
    `Linux ${release()}, ${availableParallelism()} processors (${model}), Node ${process.version}`,
    `${version('runsc')}, ${version('runc')}`,
  ].join('\n');
}

function version(program: string): string {
  return execFileSync(program, ['--version'], { encoding: 'utf8' }).split('\n')[0]!;
}
