/** One instruction, its continuation lines joined. */
export interface Instruction {
  /** In capitals: `COPY`, `RUN`, ... */
  readonly name: string;
  readonly rest: string;
}

/** One `FROM ... AS name` and what follows it. */
export interface Stage {
  readonly name: string;
  /** An image, or the name of an earlier stage. */
  readonly base: string;
  readonly instructions: readonly Instruction[];
}

/**
 * The stages of a Dockerfile in order. Here-documents and parser directives are not understood; ours has none.
 * @param text the file's content
 */
export function parseDockerfile(text: string): Stage[] {
  const stages: (Stage & { instructions: Instruction[] })[] = [];
  for (const instruction of parseInstructions(text)) {
    if (instruction.name === 'FROM') {
      const [base = '', , name = ''] = instruction.rest.split(/\s+/);
      stages.push({ name, base, instructions: [] });
    } else {
      stages.at(-1)?.instructions.push(instruction);
    }
  }
  return stages;
}

/** All instructions that make a stage: those of the stages it is based on come first. */
export function inheritedInstructions(stages: readonly Stage[], name: string): Instruction[] {
  const stage = stages.find((candidate) => candidate.name === name);
  if (!stage) return [];
  return [...inheritedInstructions(stages, stage.base), ...stage.instructions];
}

function parseInstructions(text: string): Instruction[] {
  const joined = text
    .split('\n')
    .filter((line) => !/^\s*#/.test(line))
    .join('\n')
    .replace(/\\\n\s*/g, ' ');
  return joined
    .split('\n')
    .map((line) => /^(\w+)\s+(.*)$/.exec(line.trim()))
    .flatMap((match) => (match ? [{ name: (match[1] ?? '').toUpperCase(), rest: match[2] ?? '' }] : []));
}
