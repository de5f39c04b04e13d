import { Command, CommanderError } from 'commander';
import { packageVersion } from '../common/environment.js';
import { addDoctor } from './doctor.js';
import { addEval } from './eval.js';
import { EXIT, type ExitCode } from './exit-code.js';
import { addFinetune } from './finetune.js';
import { addInspect } from './inspect.js';
import { addMerge } from './merge.js';
import { addPrune } from './prune.js';
import { type RunVerb, runVerb, type Screens, standardScreens } from './run-verb.js';
import { styleFor } from './style.js';

const EXAMPLES = `
Examples:
  espalier doctor
  espalier prune ./model --output ./pruned --ratio 0.2 --calibration text.txt
  espalier eval ./pruned --text other.txt
  espalier finetune ./model --data text.txt --output ./adapter
  espalier merge ./model ./adapter --output ./merged
  espalier inspect ./pruned --tensors

Exit codes: 0 done, 1 failed, 2 usage, 3 environment, 130 interrupted.
`;

/** Parses the arguments (without `node` and the script), runs the verb and returns the exit code. */
export async function main(
  args: readonly string[],
  screens: Screens = standardScreens(),
): Promise<ExitCode> {
  let code: ExitCode = EXIT.done;
  const run: RunVerb = async (flags, verb) => {
    code = await runVerb(flags, verb, screens);
  };
  const program = buildProgram(run, screens);
  try {
    await program.parseAsync(args, { from: 'user' });
    return code;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? EXIT.done : EXIT.usage;
  }
}

function buildProgram(run: RunVerb, { out, err }: Screens): Command {
  const style = styleFor(err.colour);
  const program = new Command('espalier')
    .description('Prune, fine-tune and measure language models on this machine.')
    .usage('<verb> [options]')
    .version(packageVersion(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .addHelpText('after', EXAMPLES)
    .showSuggestionAfterError()
    .exitOverride()
    .configureOutput({
      writeOut: (text) => out.write(text),
      writeErr: (text) => err.write(text),
      getOutHelpWidth: () => Math.min(out.columns, 100),
      getErrHelpWidth: () => Math.min(err.columns, 100),
      getOutHasColors: () => out.colour,
      getErrHasColors: () => err.colour,
      outputError(text, write) {
        const [cause = '', suggestion] = text
          .replace(/^error: /, '')
          .trim()
          .split('\n');
        const verb = currentVerb(program);
        // Commander misses a required option before it sees that it was misspelt.
        const stray = /^required option/.test(cause)
          ? verb.args.find((argument) => /^--?[a-z]/i.test(argument))
          : undefined;
        const what = stray === undefined ? cause : `${cause}, and there is no option '${stray}'`;
        const help = `${verb === program ? '' : 'espalier '}${verb.name()} --help`;
        const remedy = suggestion?.replace(/^\((.*)\)$/, '$1').replace(/^Did/, 'did') ?? help;
        write(`${style.red('error:')} ${what}\n  ${style.dim('try:')} ${remedy}\n`);
      },
    });
  program.commandsGroup('Verbs:').helpCommand('help [verb]', 'print the help of a verb');
  addPrune(program, run);
  addEval(program, run);
  addFinetune(program, run);
  addMerge(program, run);
  addInspect(program, run);
  addDoctor(program, run);
  return program;
}

/** The verb being parsed; the program itself before there is one. */
function currentVerb(program: Command): Command {
  return program.commands.find((command) => command.name() === program.args[0]) ?? program;
}
