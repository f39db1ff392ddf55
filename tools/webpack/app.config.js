const { join } = require('node:path');
const { NxAppWebpackPlugin } = require('@nx/webpack/app-plugin');

const root = join(__dirname, '..', '..');

/**
 * One bundle an app: our own code in `dist/apps/<app>/main.js`, every npm package left outside, so that a stack trace
 * names our files and an image layer with node_modules is shared by all apps.
 * @param {string} app the folder's name under apps/
 * @param {{name: string, path: string}[]} entries further entry points, `path` from the workspace root
 */
module.exports = function appConfig(app, entries = []) {
  return {
    output: {
      path: join(root, 'dist', 'apps', app),
      clean: true,
      devtoolModuleFilenameTemplate: '[absolute-resource-path]',
    },
    devtool: 'source-map',
    plugins: [
      new NxAppWebpackPlugin({
        target: 'node',
        compiler: 'swc',
        main: `apps/${app}/src/main.ts`,
        tsConfig: join(root, 'tsconfig.json'),
        additionalEntryPoints: entries.map(({ name, path }) => ({ entryName: name, entryPath: path })),
        outputHashing: 'none',
        optimization: false,
        sourceMap: true,
        generatePackageJson: false,
        skipTypeChecking: true,
        externalDependencies: 'all',
      }),
      modernOutput,
    ],
  };
};

/** Nx leaves the target to swc, whose default is ES5 with loose spreads: `[...map.values()]` is then a list of one iterator. */
const modernOutput = {
  apply(compiler) {
    const loaders = compiler.options.module.rules.filter((rule) => String(rule.loader).includes('swc-loader'));
    for (const { options } of loaders) {
      options.jsc = { ...options.jsc, target: 'es2022', loose: false, keepClassNames: true };
      options.jsc.transform.useDefineForClassFields = false;
    }
  },
};
