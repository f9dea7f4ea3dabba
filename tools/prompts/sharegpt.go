package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// sharegpt finds conversations in a JSON array of them.
type sharegpt struct{}

func (sharegpt) String() string  { return "ShareGPT" }
func (sharegpt) records() string { return "conversations" }

// conversation is a record, in both of the spellings that are about.
type conversation struct {
	ID            json.RawMessage `json:"id"` // a string; in derived files also a number
	Conversations []turn          `json:"conversations"`
	Conversation  []turn          `json:"conversation"`
}

type turn struct {
	From, Value   string
	Role, Content string
}

// candidate returns the first turn, if the human had it and somebody answered.
func (c *conversation) candidate(ordinal int) (candidate, reason) {
	turns := c.Conversations
	if len(turns) == 0 {
		turns = c.Conversation
	}
	if len(turns) == 0 {
		return candidate{}, noConversation
	}
	first := turns[0]
	role, text := cmp.Or(first.From, first.Role), cmp.Or(first.Value, first.Content)
	switch {
	case role != "human" && role != "user":
		return candidate{}, notHumanFirst
	case len(turns) < 2:
		return candidate{}, oneTurn
	}
	return candidate{c.id(ordinal), text}, checkText([]byte(text))
}

// id returns the record's id, or its place in the file where it has none.
func (c *conversation) id(ordinal int) string {
	var s string
	if json.Unmarshal(c.ID, &s) != nil {
		s = string(c.ID)
	}
	if s == "" || s == "null" {
		return fmt.Sprintf("#%d", ordinal)
	}
	return s
}

func (sharegpt) parse(record []byte, ordinal int) (candidate, reason) {
	var c conversation
	if err := json.Unmarshal(bytes.TrimLeft(record, ", \t\r\n"), &c); err != nil {
		return candidate{}, noConversation
	}
	return c.candidate(ordinal)
}

// scan decodes a record at a time, whatever the size of the array.
func (s sharegpt) scan(r io.Reader, found func(extent, candidate, reason)) error {
	in := &recordReader{r: r}
	dec := json.NewDecoder(in)
	switch first, err := dec.Token(); {
	case errors.Is(err, io.EOF):
		return errors.New("there is nothing but white space in it")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return &cutError{at: in.n}
	case errors.Is(err, errTooLong), first != json.Delim('[') && err == nil:
		return errors.New("JSON, but not an array of conversations: want the ShareGPT file [{\"id\":…,\"conversations\":[{\"from\":\"human\",\"value\":…},…]},…]")
	case err != nil:
		return fmt.Errorf("not JSON: %w", err)
	}
	whole, conversations := 0, 0
	for {
		in.begin = dec.InputOffset()
		if !dec.More() {
			break
		}
		var c conversation
		err := dec.Decode(&c)
		var wrongType *json.UnmarshalTypeError
		if err != nil && !errors.As(err, &wrongType) {
			return s.where(err, in, whole)
		}
		whole++
		e := extent{in.begin, int32(dec.InputOffset() - in.begin), int32(whole)}
		if wrongType != nil {
			found(e, candidate{}, noConversation)
			continue
		}
		next, why := c.candidate(whole)
		if why != noConversation {
			conversations++
		}
		found(e, next, why)
	}
	if _, err := dec.Token(); err != nil { // the closing bracket
		return s.where(err, in, whole)
	}
	if conversations == 0 {
		return fmt.Errorf("a JSON array of %d elements, but none is a conversation: want [{\"id\":…,\"conversations\":[{\"from\":\"human\",\"value\":…},…]},…]", whole)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("not JSON: something follows the array of %d conversations at byte %d", whole, dec.InputOffset())
	}
	return nil
}

// where says at what record decoding failed.
func (sharegpt) where(err error, in *recordReader, whole int) error {
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return &cutError{at: in.n, whole: whole, end: in.begin}
	case errors.Is(err, errTooLong):
		return fmt.Errorf("after %d conversations, at byte %d: %w: is it an array of conversations?", whole, in.begin, err)
	}
	return fmt.Errorf("not JSON, in what follows conversation %d at byte %d: %w", whole, in.begin, err)
}
