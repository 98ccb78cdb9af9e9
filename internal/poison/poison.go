// Package poison finds what is borrowed and kept. In a build with the tag poison
// memory that is given back, or lent until a function returns, is overwritten at
// once, so that whoever still refers to it shows garbage in every test and not
// once in a thousand runs. In any other build its functions do nothing and cost
// nothing.
//
//	go test -tags poison ./...
package poison
