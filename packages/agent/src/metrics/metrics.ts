// GET /metrics: what the sandbox uses, as seen from inside.
import { readFileSync, statfsSync } from 'node:fs';
import { availableParallelism, cpus, freemem, totalmem } from 'node:os';

const MIB = 1024 * 1024;

interface CpuTimes {
  readonly busy: number;
  readonly total: number;
}

/** The use of the processors between two calls; since the start at the first. */
export class Metrics {
  #last: CpuTimes = { busy: 0, total: 0 };

  read(): object {
    const cpu = cpuTimes();
    const elapsed = cpu.total - this.#last.total;
    const used = elapsed > 0 ? ((cpu.busy - this.#last.busy) / elapsed) * 100 : 0;
    this.#last = cpu;
    const memTotal = totalmem();
    const memUsed = memTotal - freemem();
    const disk = statfsSync('/');
    return {
      ts: Math.floor(Date.now() / 1000),
      cpu_count: availableParallelism(),
      cpu_used_pct: Math.round(used * 100) / 100,
      mem_total: memTotal,
      mem_used: memUsed,
      mem_cache: cachedMemory(),
      mem_total_mib: Math.floor(memTotal / MIB),
      mem_used_mib: Math.floor(memUsed / MIB),
      disk_used: (disk.blocks - disk.bfree) * disk.bsize,
      disk_total: disk.blocks * disk.bsize,
    };
  }
}

function cpuTimes(): CpuTimes {
  let total = 0;
  let idle = 0;
  for (const { times } of cpus()) {
    total += times.user + times.nice + times.sys + times.irq + times.idle;
    idle += times.idle;
  }
  return { busy: total - idle, total };
}

/** Node's freemem counts reclaimable cache as free, as MemAvailable does. */
function cachedMemory(): number {
  const match = /^Cached: +([0-9]+) kB/m.exec(readFileSync('/proc/meminfo', 'utf8'));
  return match === null ? 0 : Number(match[1]) * 1024;
}
