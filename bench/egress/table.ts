// The benchmark's table: a row for each case, under that of its group's bare pair.
import type { Samples } from '../support/samples.ts';
import { BY_NAME, type Case, GROUPS, type Kind, type Place } from './cases.ts';
import { FEW, type Figure, MANY, type Measured, ratio, type Turn } from './turns.ts';

export interface Result {
  /** Milliseconds that the change to the case's rules took. */
  readonly changes: Samples;
  readonly measured: Measured[];
}

const PLACE_LABELS: Readonly<Record<Place, string>> = { machine: '', runc: ' in runc', runsc: ' in gVisor' };
const KIND_LABELS: Readonly<Record<Kind, string>> = { plain: '', tls: ', TLS' };

export function printTable(results: ReadonlyMap<Case, Result>): void {
  const rates = [`conn/s, ${FEW}`, 'bare / it', 'work', `${MANY} at once`, 'bare / it', 'work'];
  console.log(row(['', 'MB/s', 'bare / it', ...rates, 'proxy us', 'change ms']));
  for (const group of GROUPS) {
    const own = [...results].filter(([one]) => one.group === group);
    if (own.length === 0) continue;
    const all = own.flatMap(([, { measured }]) => measured);
    const bare = (figure: Figure): string => rate(figure, turnsOf(all, figure), 'bare');
    const label = `bare${PLACE_LABELS[group.place]}${KIND_LABELS[group.kind]}`;
    console.log(row([label, bare('bytes'), '', bare('few'), '', '', bare('many')]));
    for (const [one, result] of own) console.log(row([`  ${one.label}`, ...cells(one, result)]));
  }
}

function cells({ way }: Case, { changes, measured }: Result): readonly string[] {
  const columns = (figure: Figure): readonly string[] => {
    const turns = turnsOf(measured, figure);
    const ratios = figure === 'bytes' ? (['seconds'] as const) : (['seconds', 'processorSeconds'] as const);
    return [rate(figure, turns, 'own'), ...ratios.map((kind) => `${ratio(turns, kind).toFixed(2)} x`)];
  };
  const hasProxy = way === BY_NAME || way === 'haproxy';
  const proxy = hasProxy ? (1e6 * median(measured.map(({ proxySeconds }) => proxySeconds))).toFixed(0) : '';
  const change = way === 'haproxy' ? '' : changes.median.toFixed(0);
  return [...columns('bytes'), ...columns('few'), ...columns('many'), proxy, change];
}

function turnsOf(measured: readonly Measured[], figure: Figure): readonly Turn[] {
  return measured.flatMap(({ turns }) => turns[figure]);
}

/** Megabytes or connections by the second. */
function rate(figure: Figure, turns: readonly Turn[], side: keyof Turn): string {
  const bySecond = turns.map((turn) => turn[side].count / turn[side].seconds);
  return (median(bySecond) / (figure === 'bytes' ? 1e6 : 1)).toFixed(0);
}

function row(cells: readonly string[]): string {
  return cells.map((cell, index) => (index === 0 ? cell.padEnd(19) : cell.padStart(11))).join('');
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
