import eslint from '@eslint/js';
import { createProjectGraphAsync } from '@nx/devkit';
import nx from '@nx/eslint-plugin';
import prettier from 'eslint-config-prettier';
import tseslint from 'typescript-eslint';
import { ALLOWED, EXTERNAL_BANS } from './tools/verify/boundaries.mjs';

// Without a project graph the boundary rule prints a warning and checks nothing, which is how a fresh clone would pass.
await createProjectGraphAsync();

const depConstraints = [
  ...Object.entries(ALLOWED).map(([lib, allowed]) => ({
    sourceTag: `lib:${lib}`,
    onlyDependOnLibsWithTags: [lib, ...allowed].map((name) => `lib:${name}`),
  })),
  { sourceTag: 'app', onlyDependOnLibsWithTags: Object.keys(ALLOWED).map((lib) => `lib:${lib}`) },
];

const TESTS = ['**/*.spec.ts', '**/testing/**', 'tools/**', 'apps/e2e/**'];

/** Where a library or an app is put together for Nest; the domain beside it knows no injection tokens. */
const BINDINGS = ['**/*.module.ts', '**/*-providers.ts', '**/nest.ts'];

const TEST_CODE = {
  group: ['@tyrum/*/testing', '@tyrum/test-services', '**/testing', '**/testing/**', '**/test-services/**'],
  message: 'production code does not import test code',
};
const NEST_CODE = {
  group: ['@tyrum/*/nest'],
  message: "another library's Nest binding is imported where this one is bound (*.module.ts, *-providers.ts, nest.ts)",
};

/** What production code of a library (or an app) may not import. Two blocks, because a later one replaces the rule whole. */
function restrictedImports(folder, lib) {
  const packages = EXTERNAL_BANS.filter(({ only }) => !only.includes(lib)).flatMap((ban) => ban.packages);
  const foreign = {
    group: packages.flatMap((name) => [name, `${name}/**`]),
    message: 'only the library that owns this package imports it (tools/verify/boundaries.mjs)',
  };
  const files = [`${folder}/src/**/*.{ts,tsx}`];
  const rule = (...patterns) => ({ 'no-restricted-imports': ['error', { patterns }] });
  return [
    { files, ignores: TESTS, rules: rule(foreign, TEST_CODE, NEST_CODE) },
    { files: BINDINGS.map((name) => `${folder}/src/${name}`), rules: rule(foreign, TEST_CODE) },
  ];
}

export default tseslint.config(
  { ignores: ['dist', 'node_modules', 'tmp', 'coverage', '.nx', '.tyrum', '**/*.js', '**/*.cjs', '**/*.mjs'] },
  eslint.configs.recommended,
  ...tseslint.configs.recommended,
  {
    files: ['**/*.{ts,tsx}'],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    plugins: { '@nx': nx },
    rules: {
      '@nx/enforce-module-boundaries': [
        'error',
        { enforceBuildableLibDependency: false, allow: ['@tyrum/test-services'], depConstraints },
      ],
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': ['error', { checksVoidReturn: false }],
      '@typescript-eslint/await-thenable': 'error',
      '@typescript-eslint/no-unused-vars': [
        'error',
        { argsIgnorePattern: '^_', varsIgnorePattern: '^_', ignoreRestSiblings: true },
      ],
      // An empty handler or class body is how "nothing to do" is said here; the comment beside it says why.
      '@typescript-eslint/no-empty-function': 'off',
      '@typescript-eslint/no-extraneous-class': 'off',
      'max-lines': ['error', { max: 400, skipBlankLines: false, skipComments: false }],
      'max-params': ['error', 5],
      'no-restricted-syntax': [
        'error',
        {
          selector: 'MemberExpression[object.name=/^(describe|it|test)$/][property.name=/^(only|skip)$/]',
          message: 'no focused or skipped tests',
        },
        {
          selector: 'CallExpression > Identifier.callee[name=/^(fit|fdescribe|xit|xtest|xdescribe)$/]',
          message: 'no focused or skipped tests',
        },
        {
          selector:
            'CallExpression[callee.object.name="AbortSignal"][callee.property.name="any"] CallExpression[callee.object.name="AbortSignal"][callee.property.name="timeout"]',
          message: '`any` holds its sources weakly: this one is collected before its time (nodejs/node#57736)',
        },
      ],
    },
  },
  ...Object.keys(ALLOWED).flatMap((lib) => restrictedImports(`libs/${lib}`, lib)),
  ...restrictedImports('apps/*', 'app'),
  {
    files: ['apps/console/src/**'],
    rules: {
      'no-restricted-imports': 'off',
      // The checks of the protocol would come along with its first value, and weigh more than the console.
      '@typescript-eslint/no-restricted-imports': [
        'error',
        {
          patterns: [
            { group: ['@tyrum/protocol'], message: 'a page imports types of it only', allowTypeImports: true },
            {
              regex: '^(?!\\.|react$|react-dom/client$|@tyrum/protocol$)',
              message: "a page is React, the protocol's types and its own files",
            },
          ],
        },
      ],
    },
  },
  {
    files: ['apps/*/src/**/*.ts', 'libs/*/src/**/*.ts'],
    ignores: [...TESTS, '**/main.ts', '**/config.ts'],
    rules: {
      'no-restricted-properties': [
        'error',
        {
          object: 'process',
          property: 'env',
          message: 'the environment is read in main.ts and becomes a typed config',
        },
      ],
    },
  },
  // Tests wire real parts of other rooms together; what they may not do is leak into production code.
  { files: TESTS, rules: { '@nx/enforce-module-boundaries': 'off' } },
  prettier,
);
