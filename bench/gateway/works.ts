// What every proxy is given to do, in turn.
import type { Contestant, Site } from './contestant.ts';
import { h2load, type LoadResult, ownLoad, wrk } from './loads.ts';
import type { Address } from './processes.ts';

const SECONDS = 2;
const MIB = 1024 * 1024;

export interface Measurement {
  /** What is compared. */
  readonly value: number;
  /** In units of what `cpuPer` names. */
  readonly count: number;
}

export interface Work {
  readonly name: string;
  readonly title: string;
  readonly unit: string;
  readonly smallerIsBetter?: true;
  /** Whether nginx takes part a second time, with larger buffers. */
  readonly isLarge?: true;
  /** What processor time is given for. */
  readonly cpuPer: string;
  /** @param rate half of the rate that nginx reached with keep-alive connections, per second */
  readonly run: (proxy: Contestant, site: Site, rate: number) => Promise<Measurement>;
}

const perSecond = ({ count, seconds }: LoadResult): Measurement => ({ value: count / seconds, count });
const mibPerSecond = ({ count, seconds }: LoadResult): Measurement => ({
  value: count / seconds / MIB,
  count: count / MIB,
});
const at = ({ host, port }: Address): string => `${host}:${port}`;
const seconds = String(SECONDS);

export const works: readonly Work[] = [
  {
    name: 'keep-alive',
    title: '1 KiB GET, 64 keep-alive connections',
    unit: 'requests/s',
    cpuPer: 'request',
    run: async ({ http }, { files }) => perSecond(await wrk(http, 'http', SECONDS, [`Host: ${files.hostName}`])),
  },
  {
    name: 'tls',
    title: 'the same over TLS',
    unit: 'requests/s',
    cpuPer: 'request',
    run: async ({ https }, { files }) => perSecond(await wrk(https, 'https', SECONDS, [`Host: ${files.hostName}`])),
  },
  {
    name: 'connections',
    title: 'the same with a new connection for each request',
    unit: 'requests/s',
    cpuPer: 'request',
    run: async ({ http }, { files }) =>
      perSecond(await wrk(http, 'http', SECONDS, [`Host: ${files.hostName}`, 'Connection: close'])),
  },
  {
    name: 'handshakes',
    title: 'full TLS 1.3 handshakes',
    unit: 'handshakes/s',
    cpuPer: 'handshake',
    run: async ({ https }, site) =>
      perSecond(await ownLoad(site, 'handshakes', { target: at(https), host: site.files.hostName, seconds })),
  },
  {
    name: 'resumptions',
    title: 'resumed TLS 1.3 handshakes',
    unit: 'handshakes/s',
    cpuPer: 'handshake',
    run: async ({ https }, site) =>
      perSecond(
        await ownLoad(site, 'handshakes', { target: at(https), host: site.files.hostName, seconds, resume: 'true' }),
      ),
  },
  {
    name: 'download',
    isLarge: true,
    title: '10 MiB GET, 8 connections',
    unit: 'MiB/s',
    cpuPer: 'MiB',
    run: async ({ http }, site) =>
      mibPerSecond(
        await ownLoad(site, 'transfer', { target: at(http), host: site.files.hostName, seconds, path: '/10m' }),
      ),
  },
  {
    name: 'upload',
    isLarge: true,
    title: '10 MiB PUT, 8 connections',
    unit: 'MiB/s',
    cpuPer: 'MiB',
    run: async ({ http }, site) =>
      mibPerSecond(await ownLoad(site, 'transfer', { target: at(http), host: site.sink.hostName, seconds })),
  },
  {
    name: 'http2',
    title: '1 KiB GET over HTTP/2 and TLS, 8 connections of 8 streams',
    unit: 'requests/s',
    cpuPer: 'request',
    run: async ({ https }, { files }) => perSecond(await h2load(https, files.hostName, SECONDS)),
  },
  {
    name: 'websocket',
    title: 'WebSocket echo of 64 bytes, 64 connections',
    unit: 'messages/s',
    cpuPer: 'message',
    run: async ({ http }, site) =>
      perSecond(await ownLoad(site, 'websocket', { target: at(http), host: site.sink.hostName, seconds })),
  },
  {
    name: 'latency',
    title: "99th percentile of 1 KiB GET at half of nginx's rate, 64 connections",
    unit: 'ms',
    smallerIsBetter: true,
    cpuPer: 'request',
    run: async ({ http }, site, rate) => {
      const flags = { target: at(http), host: site.files.hostName, seconds, rate: rate.toFixed(0) };
      const { p99, count } = await ownLoad(site, 'latency', flags);
      return { value: p99 ?? Number.NaN, count };
    },
  },
];
