// What the gateways report, in the text format of Prometheus
// (https://prometheus.io/docs/instrumenting/exposition_formats/). Labels have few values: none names a sandbox.
import { addHistograms, DURATION_BOUNDS, type HistogramCounts } from '@sandport/protocol/histogram';
import type { WorkerReport } from '@sandport/protocol/routes';

export const PROMETHEUS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

export interface ControlFigures {
  readonly runningSandboxes: number;
  readonly wakes: HistogramCounts;
}

export function toPrometheus(reports: readonly WorkerReport[], control: ControlFigures): string {
  const sum = (pick: (report: WorkerReport) => number) => reports.reduce((all, report) => all + pick(report), 0);
  const answers = new Map<string, number>();
  for (const { version, status, count } of reports.flatMap((report) => report.answers)) {
    const labels = `{version="${version}",status="${status}"}`;
    answers.set(labels, (answers.get(labels) ?? 0) + count);
  }
  return [
    ...metric('sandport_sandboxes_running', 'gauge', 'Sandboxes that run.', [['', control.runningSandboxes]]),
    ...metric('sandport_gateway_workers', 'gauge', 'Gateway workers that serve.', [['', reports.length]]),
    ...metric('sandport_gateway_requests_total', 'counter', 'Requests answered, by version of HTTP and status.', [
      ...answers,
    ]),
    ...metric('sandport_gateway_connections', 'gauge', 'Open connections of clients.', [
      ['', sum((one) => one.connections)],
    ]),
    ...metric('sandport_gateway_received_bytes_total', 'counter', 'Bytes from clients.', [
      ['', sum((one) => one.received)],
    ]),
    ...metric('sandport_gateway_sent_bytes_total', 'counter', 'Bytes to clients.', [['', sum((one) => one.sent)]]),
    ...histogram(
      'sandport_gateway_first_byte_seconds',
      'From the head of a request to the first byte of its answer.',
      addHistograms(reports.map(({ firstByte }) => firstByte)),
    ),
    ...histogram('sandport_wake_seconds', 'Resuming a paused sandbox for a request.', control.wakes),
    '',
  ].join('\n');
}

function metric(name: string, type: string, help: string, values: readonly (readonly [string, number])[]): string[] {
  return [
    `# HELP ${name} ${help}`,
    `# TYPE ${name} ${type}`,
    ...values.map(([labels, value]) => `${name}${labels} ${value}`),
  ];
}

function histogram(name: string, help: string, { counts, sum }: HistogramCounts): string[] {
  let total = 0;
  const buckets = counts.map((count, index): [string, number] => {
    total += count;
    const bound = DURATION_BOUNDS[index];
    return [`_bucket{le="${bound === undefined ? '+Inf' : bound / 1000}"}`, total];
  });
  return metric(name, 'histogram', help, [...buckets, ['_sum', sum / 1000], ['_count', total]]);
}
