import { ContractError, isJsonObject, validateAction, type Action, type JsonObject } from '@tyrum/protocol';

interface ModelTool {
  readonly name: string;
  readonly description: string;
  readonly parameters: { readonly properties: Readonly<Record<string, object>> };
  readonly toAction: (input: JsonObject) => object;
}

const TEXT = { type: 'string' } as const;

function object(properties: Record<string, object>, required: readonly string[]): ModelTool['parameters'] {
  const schema = { type: 'object', properties, required, additionalProperties: false };
  return schema;
}

function filesystem(op: string, description: string, parameters: ModelTool['parameters']): ModelTool {
  return {
    name: `fs_${op}`,
    description,
    parameters,
    toAction: (input) => ({ type: 'Filesystem', args: { ...input, op } }),
  };
}

/** What a model may ask for, and the step each call becomes. */
const TOOLS: readonly ModelTool[] = [
  {
    name: 'cli',
    description: 'Run a command in the workspace, without a shell; use cmd "sh" with args ["-c", "..."] for one.',
    parameters: object(
      { cmd: TEXT, args: { type: 'array', items: TEXT }, cwd: TEXT, timeout_ms: { type: 'integer' } },
      ['cmd'],
    ),
    toAction: (args) => ({ type: 'CLI', args }),
  },
  filesystem(
    'read',
    'Read a text file of the workspace.',
    object({ path: TEXT, offset: { type: 'integer' }, limit: { type: 'integer' } }, ['path']),
  ),
  filesystem(
    'write',
    'Write a file of the workspace, replacing it.',
    object({ path: TEXT, content: TEXT }, ['path', 'content']),
  ),
  filesystem(
    'edit',
    'Replace text that occurs exactly once in a file.',
    object({ path: TEXT, old_text: TEXT, new_text: TEXT, replace_all: { type: 'boolean' } }, [
      'path',
      'old_text',
      'new_text',
    ]),
  ),
  filesystem('list', 'List a directory of the workspace.', object({ path: TEXT }, [])),
  filesystem('glob', 'Find files by a glob pattern.', object({ pattern: TEXT, path: TEXT }, ['pattern'])),
  filesystem(
    'grep',
    'Find lines by a regular expression.',
    object({ pattern: TEXT, path: TEXT, glob: TEXT, ignore_case: { type: 'boolean' } }, ['pattern']),
  ),
  {
    name: 'http_request',
    description: 'Send an HTTP request.',
    parameters: object({ method: TEXT, url: TEXT, headers: { type: 'object' }, body: {} }, ['method', 'url']),
    toAction: (args) => ({ type: 'Http', args }),
  },
];

/** The tools in the form chat completion endpoints take. */
export function toolDefinitions() {
  return TOOLS.map(({ name, description, parameters }) => ({
    type: 'function' as const,
    function: { name, description, parameters: { ...parameters } },
  }));
}

/** Only what the tool has: a model that could add `effect` would decide whether its command may be repeated. */
function declared({ parameters }: ModelTool, input: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(input).filter(([name]) => Object.hasOwn(parameters.properties, name)));
}

/** The step a call becomes, or what is wrong with it, for the model to read. */
export function toolCallToAction(
  name: string,
  argumentsText: string,
): { action: Action; input: unknown } | { error: string; input: unknown } {
  const tool = TOOLS.find((candidate) => candidate.name === name);
  if (!tool) return { error: `there is no tool "${name}"`, input: argumentsText };
  let input: unknown;
  try {
    input = JSON.parse(argumentsText || '{}');
  } catch {
    return { error: 'the arguments are not JSON', input: argumentsText };
  }
  if (!isJsonObject(input)) return { error: 'the arguments are not a JSON object', input };
  try {
    return { action: validateAction(tool.toAction(declared(tool, input)), name), input };
  } catch (error) {
    if (error instanceof ContractError) return { error: error.message, input };
    throw error;
  }
}
