// The agent: the first program of every sandbox. Serves commands to whoever holds the sandbox's token.
import type { Server } from 'node:http';
import { createAgentServer } from './agent-server.ts';
import { leaveOutputs, reportProblem } from './logs/problems.ts';
import { libc, reaper } from './native/system.ts';
import { type AgentOptions, readOptions } from './options.ts';
import { startSudoDaemon } from './sudo-daemon.ts';

const options = readOptions(process.argv.slice(2));
// Its end would end the sandbox with everything that runs in it; one request's failure is not worth that.
process.on('uncaughtException', (error) => reportProblem('uncaught exception', error));
// As the first process of a PID namespace it gets no default action for signals (pid_namespaces(7)).
process.once('SIGTERM', () => process.exit(143));
if (process.pid === 1) reaper.start(libc);
listen(createAgentServer(options.root), options);

function listen(server: Server, { port, host }: Pick<AgentOptions, 'port' | 'host'>): void {
  server.once('listening', () => {
    const address = server.address();
    if (address !== null && typeof address !== 'string') process.stdout.write(`listening on port ${address.port}\n`);
    leaveOutputs();
    if (process.pid === 1) startSudoDaemon();
  });
  server.once('error', (error: NodeJS.ErrnoException) => {
    // A kernel without IPv6 refuses `::`, which otherwise takes IPv4 as well.
    const noIPv6 = error.code === 'EAFNOSUPPORT' || error.code === 'EADDRNOTAVAIL';
    if (host === undefined && noIPv6) return listen(server, { port, host: '0.0.0.0' });
    process.stderr.write(`${error.message}\n`);
    process.exit(1);
  });
  server.listen(port, host ?? '::');
}
