import jsdoc from "eslint-plugin-jsdoc";
import tseslint from "typescript-eslint";

export default tseslint.config(
  { ignores: ["node_modules/", ".heatwave/", "examples/**/node_modules/"] },
  ...tseslint.configs.strictTypeChecked,
  {
    languageOptions: { parserOptions: { project: "./tsconfig.json" } },
    plugins: { jsdoc },
    rules: {
      // Numbers and booleans read well in messages; everything else (an Output above all) must not be interpolated.
      "@typescript-eslint/restrict-template-expressions": [
        "error",
        { allowNumber: true, allowBoolean: true },
      ],
      "@typescript-eslint/consistent-type-imports": "error",
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true }],
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_", varsIgnorePattern: "^_" }],
      // A component's children are made for their effect; the class is the name of the effect.
      "no-new": "off",
      "jsdoc/check-tag-names": ["error", { definedTags: ["default", "stateful"] }],
      "max-lines": ["warn", { max: 300, skipBlankLines: true, skipComments: true }],
    },
  },
  { files: ["**/*.js", "**/*.cjs", "**/*.mjs"], ...tseslint.configs.disableTypeChecked },
  {
    files: ["test/**/*.ts"],
    rules: {
      "@typescript-eslint/no-non-null-assertion": "off",
      "no-restricted-syntax": [
        "error",
        {
          selector:
            "CallExpression[callee.property.name='toMatchObject'] > ObjectExpression ObjectExpression[properties.length=0]",
          message: "{} matches every object here: this cannot fail. NOTHING of test/support/nothing.ts can.",
        },
      ],
    },
  },
);
