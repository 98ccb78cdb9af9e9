package main

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"

	"github.com/tomoscrape/tomoscrape/internal/smallfile"
)

const envPrefix = "TOMOSCRAPE_"

// configure sets the flags that the command line left alone, from the
// environment or else from the configuration file.
func (p *program) configure(c *cobra.Command, o *options) error {
	environment, settings := koanf.New("."), koanf.New(".")
	fromEnv := env.Provider(".", env.Opt{Prefix: envPrefix, EnvironFunc: func() []string { return p.environ },
		TransformFunc: func(name, value string) (string, any) {
			flag := c.Flags().Lookup(strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(name, envPrefix)), "_", "-"))
			if value == "" || flag == nil {
				return "", nil
			}
			if many(flag) {
				return flag.Name, strings.Split(value, ",")
			}
			return flag.Name, []string{value}
		}})
	if err := environment.Load(fromEnv, nil); err != nil {
		return &usageError{err: err}
	}
	if o.config == "" {
		o.config = strings.Join(environment.Strings("config"), "")
	}
	if o.config != "" {
		err := settings.Load(configText(o.config), &configFile{known: knownFlags(c.Root())})
		if pathErr := (*fs.PathError)(nil); errors.As(err, &pathErr) {
			err = pathErr.Err
		}
		if err != nil {
			return &usageError{err: fmt.Errorf("configuration %s: %w", o.config, err)}
		}
	}
	if err := settings.Merge(environment); err != nil {
		return &usageError{err: err}
	}
	var err error
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if err != nil || f.Changed || f.Name == "config" || !settings.Exists(f.Name) {
			return
		}
		place := o.config + ": " + f.Name
		if environment.Exists(f.Name) {
			place = envPrefix + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		}
		values := settings.Strings(f.Name)
		if len(values) != 1 && !many(f) {
			err = &usageError{err: fmt.Errorf("%s takes one value, not a list", place)}
			return
		}
		for _, value := range values {
			if value == "" {
				err = withoutValue(place)
				return
			}
			if bad := f.Value.Set(value); bad != nil {
				err = &usageError{err: fmt.Errorf("%s: invalid value %q: %w", place, value, bad)}
				return
			}
		}
		f.Changed = true
	})
	return err
}

// withoutValue is the error of a flag, or a setting, that may name nothing because a
// variable was empty: in silence it would select, or deliver, something else.
func withoutValue(place string) error {
	return &usageError{fmt.Errorf("%s is given without a value", place), "leave it out, or name one"}
}

func many(f *pflag.Flag) bool { return f.Value.Type() == "stringArray" }

// knownFlags are the names that may stand in a configuration file: the flags of
// all commands, so that one file serves them all.
func knownFlags(root *cobra.Command) []string {
	var names []string
	for _, c := range root.Commands() {
		c.LocalFlags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	}
	return slices.DeleteFunc(names, func(name string) bool {
		return slices.Contains([]string{"config", "help", "no-descriptions"}, name)
	})
}

// configText is the path of a configuration file, as koanf wants it.
type configText string

// maxConfig is the longest configuration that is read.
const maxConfig = 1 << 20

func (c configText) ReadBytes() ([]byte, error) { return smallfile.Read(string(c), maxConfig) }

// Read is part of koanf.Provider.
func (c configText) Read() (map[string]any, error) { return nil, errors.ErrUnsupported }

// configFile reads the YAML form of a command's flags. Values are taken as they
// are written: YAML would read the trace id 0000000000001e10 as a number.
type configFile struct{ known []string }

func (c *configFile) Unmarshal(data []byte) (map[string]any, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(data, &document); err != nil {
		return nil, err
	}
	values := map[string]any{}
	if len(document.Content) == 0 { // an empty file
		return values, nil
	}
	top := document.Content[0]
	if top.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("line %d: expected flags and their values, such as \"max-line: 1MiB\"", top.Line)
	}
	for i := 0; i+1 < len(top.Content); i += 2 {
		key, value := top.Content[i], top.Content[i+1]
		if !slices.Contains(c.known, key.Value) {
			return nil, fmt.Errorf("line %d: unknown key %q; the keys are the names of the flags, without the dashes", key.Line, key.Value)
		}
		if _, twice := values[key.Value]; twice {
			return nil, fmt.Errorf("line %d: %s stands there twice", key.Line, key.Value)
		}
		texts, err := scalars(value)
		if err != nil {
			return nil, fmt.Errorf("line %d: %s: %w", key.Line, key.Value, err)
		}
		values[key.Value] = texts
	}
	return values, nil
}

// Marshal is part of koanf.Parser; nothing is written here.
func (c *configFile) Marshal(map[string]any) ([]byte, error) { return nil, errors.ErrUnsupported }

// scalars is the text of a value, or of each item of a list.
func scalars(node *yaml.Node) ([]string, error) {
	items := []*yaml.Node{node}
	if node.Kind == yaml.SequenceNode {
		items = node.Content
	}
	var texts []string
	for _, item := range items {
		if item.Kind != yaml.ScalarNode || item.Tag == "!!null" {
			return nil, errors.New("expected a value, or a list of values")
		}
		texts = append(texts, item.Value)
	}
	return texts, nil
}
