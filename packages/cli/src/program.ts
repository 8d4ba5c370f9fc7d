// What the command line offers: one file a subcommand.
import { Command } from 'commander';
import { addCreateCommand } from './commands/create.ts';
import { addDemoCommand } from './commands/demo.ts';
import { addDoctorCommand } from './commands/doctor.ts';
import { addEnvCommand } from './commands/env.ts';
import { addEventsCommand } from './commands/events.ts';
import { addExecCommand } from './commands/exec.ts';
import { addKeyCommand } from './commands/key.ts';
import { addKillCommand } from './commands/kill.ts';
import { addListCommand } from './commands/list.ts';
import { addLogsCommand } from './commands/logs.ts';
import { addMetricsCommand } from './commands/metrics.ts';
import { addNetworkCommand } from './commands/network.ts';
import { addPauseCommand } from './commands/pause.ts';
import { addPortsCommand } from './commands/ports.ts';
import { addResumeCommand } from './commands/resume.ts';
import { addStartCommand } from './commands/start.ts';
import { addTrustCommand } from './commands/trust.ts';
import { addUpCommand } from './commands/up.ts';
import { addUrlCommand } from './commands/url.ts';
import { printFailure } from './failure.ts';

const program = new Command('sandport')
  .description("Every port of every sandbox gets a public URL, on a machine of one's own.")
  .option('--debug', 'print where an error comes from');

const commands = [
  addUpCommand,
  addStartCommand,
  addDemoCommand,
  addEnvCommand,
  addCreateCommand,
  addListCommand,
  addKillCommand,
  addPauseCommand,
  addResumeCommand,
  addExecCommand,
  addUrlCommand,
  addPortsCommand,
  addNetworkCommand,
  addMetricsCommand,
  addLogsCommand,
  addEventsCommand,
  addKeyCommand,
  addTrustCommand,
  addDoctorCommand,
];
for (const add of commands) add(program);

// A reader such as "head" that has enough is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

try {
  await program.parseAsync();
} catch (error) {
  printFailure(error, program.opts<{ debug?: boolean }>().debug ?? false);
  process.exitCode = 1;
}
