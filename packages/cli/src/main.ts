// The sandport command.
import { Command } from 'commander';
import { addDemoCommand } from './commands/demo.ts';
import { addDoctorCommand } from './commands/doctor.ts';
import { addStartCommand } from './commands/start.ts';
import { addUpCommand } from './commands/up.ts';

const program = new Command('sandport');
addUpCommand(program);
addStartCommand(program);
addDemoCommand(program);
addDoctorCommand(program);
await program.parseAsync();
