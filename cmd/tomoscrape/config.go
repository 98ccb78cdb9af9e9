package main

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"

	"github.com/tomoscrape/tomoscrape/internal/smallfile"
)

const envPrefix = "TOMOSCRAPE_"

// settings are the values of flags by their names, from a source other than the
// command line.
type settings map[string][]string

// configure sets the flags that the command line left alone, from the
// environment or else from the configuration file.
func (p *program) configure(c *cobra.Command, o *options) error {
	environment, file := environmentOf(p.environ, c.Flags()), settings(nil)
	if o.config == "" {
		o.config = strings.Join(environment["config"], "")
	}
	if o.config != "" {
		var err error
		if file, err = readConfig(o.config, knownFlags(c.Root())); err != nil {
			if pathErr := (*fs.PathError)(nil); errors.As(err, &pathErr) {
				err = pathErr.Err
			}
			return &usageError{err: fmt.Errorf("configuration %s: %w", o.config, err)}
		}
	}
	var err error
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if err != nil || f.Changed || f.Name == "config" {
			return
		}
		if values, ok := environment[f.Name]; ok {
			err = set(f, envPrefix+strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_")), values)
		} else if values, ok := file[f.Name]; ok {
			err = set(f, o.config+": "+f.Name, values)
		}
	})
	return err
}

// set gives a flag the values that stand at a place.
func set(f *pflag.Flag, place string, values []string) error {
	if len(values) != 1 && !many(f) {
		return &usageError{err: fmt.Errorf("%s takes one value, not a list", place)}
	}
	for _, value := range values {
		if value == "" {
			return withoutValue(place)
		}
		if bad := f.Value.Set(value); bad != nil {
			return &usageError{err: fmt.Errorf("%s: invalid value %q: %w", place, value, bad)}
		}
	}
	f.Changed = true
	return nil
}

// environmentOf reads TOMOSCRAPE_MAX_LINE=… as the flag --max-line, and lists
// between commas. A variable that is empty says nothing.
func environmentOf(environ []string, flags *pflag.FlagSet) settings {
	found := settings{}
	for _, variable := range environ {
		name, value, _ := strings.Cut(variable, "=")
		name, ours := strings.CutPrefix(name, envPrefix)
		flag := flags.Lookup(strings.ReplaceAll(strings.ToLower(name), "_", "-"))
		switch {
		case !ours || value == "" || flag == nil:
		case many(flag):
			found[flag.Name] = strings.Split(value, ",")
		default:
			found[flag.Name] = []string{value}
		}
	}
	return found
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

// maxConfig is the longest configuration that is read, in bytes.
const maxConfig = 1 << 20

// readConfig reads the YAML form of a command's flags. Values are taken as they
// are written: YAML would read the trace id 0000000000001e10 as a number.
func readConfig(path string, known []string) (settings, error) {
	data, err := smallfile.Read(path, maxConfig)
	if err != nil {
		return nil, err
	}
	var document yaml.Node
	if err := yaml.Unmarshal(data, &document); err != nil {
		return nil, err
	}
	values := settings{}
	if len(document.Content) == 0 { // an empty file
		return values, nil
	}
	top := document.Content[0]
	if top.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("line %d: expected flags and their values, such as \"max-line: 1MiB\"", top.Line)
	}
	for i := 0; i+1 < len(top.Content); i += 2 {
		key, value := top.Content[i], top.Content[i+1]
		if !slices.Contains(known, key.Value) {
			return nil, fmt.Errorf("line %d: unknown key %q; the keys are the names of the flags, without the dashes",
				key.Line, key.Value)
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
